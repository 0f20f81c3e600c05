"""Physics that makes data: wave equation and velocity maps, with no part of the training in it."""
