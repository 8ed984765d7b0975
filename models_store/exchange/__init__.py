"""A model as files that plain torchvision, timm, transformers or Lightning read, without this service's code."""
