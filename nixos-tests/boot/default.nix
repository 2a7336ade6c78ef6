# The nodes by themselves: a pool, Docker, and both again after a power cut.
{
  script = ./test.py;
}
