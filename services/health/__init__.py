"""Health: hospitals, their clinics' schedules, and appointments with them."""
