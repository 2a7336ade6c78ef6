# The seed's example as a whole: Trac, its database and the log server on two
# nodes, a move, Docker restarted, a node left out, all power cut at once, and
# deploys that cannot succeed. Then images that are configured as official ones.
{
  script = ./test.py;
}
