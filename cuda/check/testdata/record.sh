#!/usr/bin/env bash
# Records cuobjdump's output for planted.cu, without the instructions' encodings. Run cuda/check/testdata/record.sh
# from the top of the repository after make toolchain.
set -euo pipefail
tools=build/toolchain/bin
here=cuda/check/testdata
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
targets=()
for name in 80 86 89 90a 120; do targets+=(-gencode "arch=compute_$name,code=sm_$name"); done
$tools/nvcc -std=c++17 -O3 "${targets[@]}" -fatbin -o "$work/planted.fatbin" $here/planted.cu
for option in res-usage sass; do
	$tools/cuobjdump -$option "$work/planted.fatbin" |
		sed -E 's,/\* 0x[0-9a-f]+ \*/,,; s/[ \t]+$//; /^$/d; /NOP;/d; s/^[ \t]+/ /; s,^( /\*[0-9a-f]+\*/) +,\1 ,' >$here/planted.$option
done
