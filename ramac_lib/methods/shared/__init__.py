"""What several methods share: the base class, critics, schedules."""
