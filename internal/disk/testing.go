package disk

// TestNoTmpfile makes d behave as if unnamed files could not be linked.
func (d *Dir) TestNoTmpfile() { d.noTmpfile.Store(true) }
