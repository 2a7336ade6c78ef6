# Three nodes: an application goes around among them and answers on all, wherever
# it is.
{
  count = 3;
  script = ./test.py;
}
