"""How good recommendations are on any data: read a folder, choose on a validation slice, measure on the test part."""
