"""What huggingface_hub does with a cache or a server, for TestPython.

    python peer.py found REPO     print the folder of REPO in the cache, without the network
    python peer.py fetch REPO     download REPO and print its folder
    python peer.py push DIR REPO  upload a folder
    python peer.py tree REPO      print the repository's files and sizes
"""

import sys

import huggingface_hub as hub

verb, *args = sys.argv[1:]
if verb == "found":
    print(hub.snapshot_download(args[0], local_files_only=True))
elif verb == "fetch":
    print(hub.snapshot_download(args[0], ignore_patterns=["*.bin", "*.pth", "onnx/*", "*.py", "consolidated*"]))
elif verb == "push":
    api = hub.HfApi()
    api.create_repo(args[1], private=True, exist_ok=True)
    print(api.upload_folder(repo_id=args[1], folder_path=args[0], commit_message="From Python").oid)
elif verb == "tree":
    for f in hub.HfApi().list_repo_tree(args[0], recursive=True):
        print(f.path, f.size)
else:
    sys.exit(__doc__)
