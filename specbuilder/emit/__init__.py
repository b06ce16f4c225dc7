"""TypedGraph to Python source, and source to `nn.Module`."""
