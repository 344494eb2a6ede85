"""Images and files: samples, data sets, pictures that anyone may have made, files written safely."""
