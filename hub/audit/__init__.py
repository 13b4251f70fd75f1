"""The hub's proof: every alarm accounted for, looked at all the time from outside of the way that alarms take."""
