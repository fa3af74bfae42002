package main

func presignEnv(o *origins) []string { return append(o.s3Env(), "PRESIGN_BUCKET="+modelBucket) }

func presignEvent(int) string {
	return `{"tenant":"blue","user":"ann","do":"get","name":"2026/scan.tiff"}`
}
