package disk

// TestNoTmpfile makes d behave as where unnamed files cannot be linked.
func (d *Dir) TestNoTmpfile() { d.noTmpfile.Store(true) }
