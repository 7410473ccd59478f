"""The main job from one end to the other on the lab, measured."""
