"""The paper, the released code and this book side by side: what each deviation changes, with numbers (chapter 9)."""
