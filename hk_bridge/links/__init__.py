"""I/O. Each link is one supervised task that reconnects by itself."""
