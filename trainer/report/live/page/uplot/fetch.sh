#!/usr/bin/env bash
# Fetches this folder's files of uPlot (https://github.com/leeoniya/uPlot, MIT) from the npm registry, at exactly this version.
set -euo pipefail
cd "$(dirname "$0")"

version=1.6.32
sha256=4b8a8191e425658e3ea8c8c1314b0fc679c861ee3a1af2b20c7b16ba50b5133d
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

npm pack --silent --pack-destination "$tmp" "uplot@$version" >/dev/null
echo "$sha256  $tmp/uplot-$version.tgz" | sha256sum --check --quiet
tar -xzf "$tmp/uplot-$version.tgz" -C "$tmp"
cp "$tmp/package/dist/uPlot.iife.min.js" "$tmp/package/dist/uPlot.min.css" "$tmp/package/LICENSE" .
