"""What PyCrust does in a notebook: cells as transactions (`transactions`) and the live view (`widget`).

Nothing here is imported before IPython is there.
"""
