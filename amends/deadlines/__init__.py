"""When things are due: policy packs, working calendars, deadlines and their derivations."""
