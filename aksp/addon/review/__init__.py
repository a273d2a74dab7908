"""An AdmissionReview, from its bytes to allowed or refused, and the words for it."""
