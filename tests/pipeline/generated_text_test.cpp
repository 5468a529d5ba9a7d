#include "pipeline/generated_text.hpp"

#include "support/catch.hpp"

using daguerre::GeneratedText;

TEST_CASE("a text is told as far as no stop string can begin in it", "[pipeline][language]") {
  GeneratedText text({"<end>", "\n\n"});
  CHECK_FALSE(text.grow("one <"));
  CHECK(text.take() == "one ");
  CHECK_FALSE(text.grow("one <en"));
  CHECK(text.take().empty());
  CHECK_FALSE(text.grow("one <en> two\n"));  // was none
  CHECK(text.take() == "<en> two");
  CHECK_FALSE(text.grow("one <en> two\nthree"));
  CHECK(text.take() == "\nthree");
  CHECK(text.grow("one <en> two\nthree<end> four\n\n"));  // the first one counts
  CHECK(text.take().empty());
  CHECK(text.text() == "one <en> two\nthree");
}

TEST_CASE("what was held back is told at the end", "[pipeline][language]") {
  GeneratedText text({"stop"});
  CHECK_FALSE(text.grow("sto"));
  CHECK(text.take().empty());
  text.end();
  CHECK(text.take() == "sto");
  CHECK(text.text() == "sto");
}
