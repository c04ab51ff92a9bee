"""WHAT is optimised: losses, rewards, policy gradients; pure functions of tensors."""
