"""`python -m holdfast`: runs one operator."""

from holdfast.main import main

if __name__ == "__main__":
    main()
