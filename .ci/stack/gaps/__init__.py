"""What MiniStack lacks for this project's stack, each gap in a module of its own. fill() of each changes MiniStack in place;
it is to be run before MiniStack starts."""
