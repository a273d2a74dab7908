"""Where definitions come from: those that come with aksp, and the workspace's own."""
