"""What a complaint is and may become: stages, outcomes, remedies."""
