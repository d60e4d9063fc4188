"""What MiniStack lacks for this project's stack, each gap in its own module. fill() of each changes MiniStack in place; it
must run before MiniStack starts."""
