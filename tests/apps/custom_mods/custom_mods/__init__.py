"""After Flower's custom-mods: mods of the app and of one action, and state that they keep."""
