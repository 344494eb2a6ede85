"""The dashboard: everything that needs Streamlit. The maths is in core."""
