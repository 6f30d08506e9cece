"""What is reported of an ablation: its statistics, tables, figures and page, made from ablation.sqlite alone."""
