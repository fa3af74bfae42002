package main

import (
	"context"
	"io"

	"github.com/klauspost/compress/zstd"

	"github.com/warmcache/warmcache/filecache"
)

// unzstd returns obj decompressed by zstd. It fails if the result is larger than
// limit bytes, because a small object can expand to any size.
func unzstd(obj filecache.Object, limit int64) filecache.Object {
	return filecache.Derived(obj, "unzstd", func(ctx context.Context, src *filecache.File, dst io.Writer) error {
		r, err := zstd.NewReader(src, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(64<<20), zstd.WithDecoderLowmem(true))
		if err != nil {
			return err
		}
		defer r.Close()
		_, err = io.Copy(filecache.LimitWriter(dst, limit), r)
		return err
	})
}
