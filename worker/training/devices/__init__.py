"""One training in several processes, a device each: the child starts and watches them, they train together."""
