"""A bridge carries calls that come and go for an hour while its providers fail: nothing may grow, hang or be lost."""
