"""Who is asking. Knows keys and addresses; knows nothing of engines, models or routes."""
