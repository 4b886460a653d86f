"""Hazards on the shipped policies (chapter 4): the rule behind the preset `calibrated`, and what presets cost."""
