// ExactlyOnce
