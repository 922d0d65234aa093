"""What operations of frameworks are as layers of a spec: one file a kind, each recipe shared by all that read one."""
