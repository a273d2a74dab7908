"""Where definitions come from: the nine that come with aksp, and the workspace's own."""
