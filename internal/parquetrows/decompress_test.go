package parquetrows

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/snappy"
	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/format"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"
)

// TestDecompress checks that a page decompresses to what it claims, and to no more.
func TestDecompress(t *testing.T) {
	zeros := make([]byte, 8<<20)
	block := func(data []byte) []byte {
		out := make([]byte, lz4.CompressBlockBound(len(data)))
		n, err := lz4.CompressBlock(data, out, nil)
		require.NoError(t, err)
		return out[:n]
	}
	hadoop := func(data []byte) []byte {
		compressed := block(data)
		head := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
		return append(binary.BigEndian.AppendUint32(head, uint32(len(compressed))), compressed...)
	}
	streams := make([]bytes.Buffer, 4)
	zw, err := zstd.NewWriter(&streams[1])
	require.NoError(t, err)
	for _, w := range []io.WriteCloser{gzip.NewWriter(&streams[0]), zw, brotli.NewWriter(&streams[2]), lz4.NewWriter(&streams[3])} {
		_, err := w.Write(zeros)
		require.NoError(t, err)
		require.NoError(t, w.Close())
	}
	for _, c := range []struct {
		name  string
		codec format.CompressionCodec
		data  []byte
	}{
		{"none", format.Uncompressed, zeros},
		{"snappy", format.Snappy, snappy.Encode(nil, zeros)},
		{"gzip", format.Gzip, streams[0].Bytes()},
		{"zstd", format.Zstd, streams[1].Bytes()},
		{"brotli", format.Brotli, streams[2].Bytes()},
		{"LZ4 block", format.Lz4Raw, block(zeros)},
		{"LZ4 of Hadoop, two blocks", format.Lz4, append(hadoop(zeros[:5<<20]), hadoop(zeros[5<<20:])...)},
		{"LZ4 frame", format.Lz4, streams[3].Bytes()},
		{"LZ4 block by the old name", format.Lz4, block(zeros)},
	} {
		t.Run(c.name, func(t *testing.T) {
			plain, err := decompress(c.codec, c.data, int64(len(zeros)))
			require.NoError(t, err)
			require.True(t, bytes.Equal(zeros, plain))
			_, err = decompress(c.codec, c.data, 1000)
			require.Error(t, err)
			_, err = decompress(c.codec, c.data, int64(len(zeros))+1)
			require.Error(t, err)
			_, err = decompress(c.codec, c.data[:len(c.data)/2], int64(len(zeros)))
			require.Error(t, err)
		})
	}
	_, err = decompress(format.LZO, nil, 5)
	require.ErrorContains(t, err, "its compression LZO is not supported; write the file with snappy, gzip or zstd")
}
