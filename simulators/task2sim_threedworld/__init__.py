"""threedworld: ThreeDWorld, the simulator of the Task2Sim paper, as a plugin one can trust."""
