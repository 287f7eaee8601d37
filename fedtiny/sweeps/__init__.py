"""Many runs: axes crossed with seeds, on the processes of one machine."""
