# Trac, which nixpkgs does not have.
{ lib, python3Packages }:
python3Packages.buildPythonPackage rec {
  pname = "trac";
  version = "1.6";
  pyproject = true;

  src = python3Packages.fetchPypi {
    pname = "Trac";
    inherit version;
    hash = "sha256-Ydc8YfZw1o/8NGgp0ksvHSBQqlYapxy5ji+0OZLCcwQ=";
  };

  build-system = [
    python3Packages.jinja2
    python3Packages.setuptools
  ];
  dependencies = [
    python3Packages.jinja2
    python3Packages.multipart
    python3Packages.psycopg2
    # Not only to build it: Trac finds its plugins by pkg_resources.
    python3Packages.setuptools
  ];

  # They want a subversion server and a browser.
  doCheck = false;
  pythonImportsCheck = [
    "trac.env"
    "trac.web.standalone"
  ];

  meta = {
    description = "Wiki and issue tracker for software projects";
    homepage = "https://trac.edgewall.org";
    license = lib.licenses.bsd3;
  };
}
