"""Pinned wheels from the package index, with Python's standard library only.

The wheel comes from the index that pip would use (PIP_INDEX_URL, pip's configuration files, else PyPI), among the files of its version for this
machine's processor and C library. Its SHA-256 must be one of those given, so the index need not be trusted.
"""

import base64
import configparser
import hashlib
import html
import json
import os
import platform
import re
import ssl
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

TIMEOUT_SECONDS = 30
MAX_BYTES = 256 << 20


class Refused(Exception):
    """The reason, in one sentence, why something is not available."""


def index_url():
    """Returns the index that pip would use."""
    if url := os.environ.get("PIP_INDEX_URL"):
        return url
    home = Path.home()
    files = ["/etc/pip.conf", home / ".pip/pip.conf", home / ".config/pip/pip.conf", os.environ.get("PIP_CONFIG_FILE", os.devnull)]
    config = configparser.RawConfigParser()
    config.read(files)
    return config.get("global", "index-url", fallback="https://pypi.org/simple")


def public(url):
    """Returns the address without user name and password."""
    return re.sub(r"//[^/@]*@", "//", url)


def download(url, accept="*/*"):
    context = ssl.create_default_context(cafile=os.environ.get("PIP_CERT") or None)
    request = urllib.request.Request(public(url), headers={"Accept": accept, "User-Agent": "qlora-toolchain/1"})
    index = urllib.parse.urlsplit(index_url())
    if index.username is not None and index.hostname == urllib.parse.urlsplit(url).hostname:
        login = f"{urllib.parse.unquote(index.username)}:{urllib.parse.unquote(index.password or '')}"
        request.add_unredirected_header("Authorization", "Basic " + base64.b64encode(login.encode()).decode())
    with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS, context=context) as response:
        body = response.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise Refused(f"{url} is larger than {MAX_BYTES >> 20} MiB")
        return body, response.headers.get_content_type(), response.geturl()


def files_of(project):
    """Returns (file name, address) of every file of a project in the index: PEP 691's JSON, or PEP 503's page."""
    page = index_url().rstrip("/") + f"/{project.replace('_', '-').lower()}/"
    body, kind, page = download(page, "application/vnd.pypi.simple.v1+json, text/html;q=0.5")
    if kind.endswith("json"):
        links = [(file["filename"], file["url"]) for file in json.loads(body)["files"]]
    else:
        links = [(name, html.unescape(href)) for href, name in re.findall(r'<a[^>]*href="([^"]+)"[^>]*>\s*([^<\s]+)\s*</a>', body.decode())]
    return [(name, urllib.parse.urljoin(page, address)) for name, address in links]


def choose(files, project, version):
    """Returns the address of the version's wheel for this machine."""
    libc, _ = platform.libc_ver()
    family = "manylinux" if libc == "glibc" else "musllinux"
    processor = platform.machine()
    for name, address in files:
        if name.startswith(f"{project.replace('-', '_')}-{version}-") and name.endswith(f"_{processor}.whl") and family in name:
            return address
    raise Refused(f"the index has no {family} wheel of {project} {version} for {processor}")


def fetch(project, version, accepted):
    """Returns the bytes of a project's wheel for this machine, whose SHA-256 must be one of those accepted."""
    try:
        wheel, _, _ = download(choose(files_of(project), project, version))
    except (OSError, ValueError, KeyError) as reason:
        raise Refused(f"{project} {version} from {public(index_url())}: {reason}") from reason
    found = hashlib.sha256(wheel).hexdigest()
    if found not in accepted:
        raise Refused(f"{project} {version} from {public(index_url())}: its SHA-256 is {found}, which is not a pinned one")
    return wheel
