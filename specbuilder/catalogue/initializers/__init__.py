"""How tensors begin: one module a group of functions of torch.nn.init."""
