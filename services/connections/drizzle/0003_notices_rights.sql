-- No tenant's: a person may have connected for several, and the row does not say who they were. It is found by its code only.
GRANT SELECT, INSERT ON forgetting TO connections;
