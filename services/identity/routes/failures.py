"""Which of identity's answers are failed sign-ins, for whoever watches over them."""

from services.identity.routes.parts import PREFIX

SIGN_IN_FAILURES = {
    (f"POST {PREFIX}/sign-in", 403): "code",
    (f"POST {PREFIX}/sign-in/code", 429): "codes",
    (f"POST {PREFIX}/sign-in/staff", 403): "staff",
    (f"POST {PREFIX}/sign-in/staff", 429): "delayed",
    (f"POST {PREFIX}/enrolment", 409): "enrolment",
    (f"POST {PREFIX}/token", 400): "token",
    (f"POST {PREFIX}/token", 401): "token",
}
"""By route and status, the kind."""
