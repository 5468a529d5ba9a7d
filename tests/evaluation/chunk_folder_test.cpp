// Jobs that are kept in folders: what is done, what is missing, and whose folder it is.
#include "daguerre/evaluation/chunk_folder.hpp"

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "daguerre/core/error.hpp"
#include "daguerre/evaluation/process_group.hpp"
#include "support/catch.hpp"
#include "support/errors.hpp"
#include "support/files.hpp"

using namespace daguerre;
using namespace daguerre::evaluation;
using namespace daguerre::test;

namespace {

const std::string job =
    R"({"model": "m", "request": {"steps": 20, "sizes": [1, 2]}, "seed": 18446744073709551615})";

}  // namespace

TEST_CASE("a folder of chunks belongs to one job") {
  const TempFolder temp;
  const auto folder = temp.path() / "a" / "b";
  CHECK(ChunkFolder(folder, job).folder() == folder);
  CHECK(read_file(folder / "job.json") == job);
  // The same settings in another order and with other spaces are the same job.
  ChunkFolder again(folder,
                    R"({"seed":18446744073709551615,"request":{"sizes":[1,2],"steps":20},"model":"m"})");
  CHECK(read_file(folder / "job.json") == job);

  const auto difference = [&](const std::string& other, const std::string& expected) {
    INFO(other);
    expect_error<ArgumentError>([&] { ChunkFolder(folder, other); },
                                {folder.string(), "is the folder of another job", expected});
  };
  difference(R"({"model": "n", "request": {"steps": 20, "sizes": [1, 2]}, "seed": 18446744073709551615})",
             "\"model\" is \"m\" there, \"n\" now");
  difference(R"({"model": "m", "request": {"steps": 30, "sizes": [1, 2]}, "seed": 18446744073709551615})",
             "\"request.steps\" is 20 there, 30 now");
  difference(R"({"model": "m", "request": {"steps": 20, "sizes": [1, 3]}, "seed": 18446744073709551615})",
             "\"request.sizes[1]\" is 2 there, 3 now");
  difference(R"({"model": "m", "request": {"steps": 20, "sizes": [1, 2.0]}, "seed": 18446744073709551615})",
             "\"request.sizes[1]\" is 2 there, 2.0 now");
  difference(R"({"model": "m", "request": {"steps": 20, "sizes": [1, 2]}, "seed": 18446744073709551614})",
             "\"seed\" is 18446744073709551615 there, 18446744073709551614 now");
  difference(R"({"model": "m", "request": {"steps": 20, "sizes": [1, 2, 3]}, "seed": 18446744073709551615})",
             "\"request.sizes\" is [1, 2] there, [1, 2, 3] now");
  difference(R"({"model": "m", "request": {"steps": 20, "sizes": [1, 2]}})",
             "\"seed\" is 18446744073709551615 there, not given now");
  difference(
      R"({"model": "m", "request": {"steps": 20, "sizes": [1, 2]}, "seed": 18446744073709551615, "more": null})",
      "\"more\" is not given there, null now");
}

TEST_CASE("a folder of chunks is not made of what is something else") {
  const TempFolder temp;
  std::ofstream(temp.path() / "thesis.tex") << "all of it";
  expect_error<ArgumentError>([&] { ChunkFolder(temp.path(), job); },
                              {"holds \"thesis.tex\" and no job.json"});
  CHECK(temp.names() == std::vector<std::string>{"thesis.tex"});
  CHECK_THROWS_AS(ChunkFolder(temp.path() / "thesis.tex", job), FileError);
  CHECK_THROWS_AS(ChunkFolder(temp.path() / "thesis.tex" / "in", job), FileError);
  CHECK_THROWS_AS(ChunkFolder(temp.path() / "new", "[1]"), FormatError);
  CHECK_THROWS_AS(ChunkFolder(temp.path() / "new", "{"), FormatError);

  const auto folder = temp.path() / "damaged";
  std::filesystem::create_directory(folder);
  for (const std::string text : {"", "{", "[]", R"({"a": 1, "a": 2})", "\xff"}) {
    std::ofstream(folder / "job.json") << text;
    INFO(text);
    expect_error<FormatError>([&] { ChunkFolder(folder, job); }, {"job.json"});
  }
}

TEST_CASE("chunks appear when they are whole, and only those that are missing are made") {
  const TempFolder temp;
  const auto group = alone();
  const ChunkFolder folder(temp.path() / "job", job, *group);
  CHECK(folder.path_of("part", 12, ".txt").filename() == "part-000012.txt");
  CHECK(folder.path_of("part", 12345678, ".txt").filename() == "part-12345678.txt");
  CHECK(folder.missing("part", 3, ".txt") == std::vector<Index>{0, 1, 2});

  const auto names = [&] {
    std::vector<std::string> result;
    for (const auto& entry : std::filesystem::directory_iterator(folder.folder()))
      result.push_back(entry.path().filename().string());
    std::sort(result.begin(), result.end());
    return result;
  };
  std::vector<Index> made;
  const auto make = [&](Index chunk, const std::filesystem::path& unfinished) {
    CHECK(unfinished.parent_path() == folder.folder());
    CHECK_FALSE(std::filesystem::exists(folder.path_of("part", chunk, ".txt")));
    std::ofstream(unfinished) << chunk;
    made.push_back(chunk);
    if (chunk == 2 && made.size() == 3) throw std::runtime_error("killed");
  };
  CHECK_THROWS_WITH(folder.complete(*group, "part", 4, ".txt", make), "killed");
  CHECK(names() == std::vector<std::string>{"job.json", "part-000000.txt", "part-000001.txt"});
  CHECK(folder.missing("part", 4, ".txt") == std::vector<Index>{2, 3});
  CHECK(folder.missing("other", 1, ".txt") == std::vector<Index>{0});

  std::ofstream(folder.folder() / "part-000002.txt.1a2b.unfinished") << "half";  // as kill -9 leaves it
  const ChunkFolder again(temp.path() / "job", job, *group);
  CHECK(names().size() == 3);
  again.complete(*group, "part", 4, ".txt", make);
  CHECK(made == std::vector<Index>{0, 1, 2, 2, 3});
  CHECK(names().size() == 5);
  CHECK(read_file(folder.path_of("part", 3, ".txt")) == "3");

  ChunkFolder::write(folder.folder() / "index", "one");
  ChunkFolder::write(folder.folder() / "index", "two");
  CHECK(read_file(folder.folder() / "index") == "two");
  CHECK_THROWS_AS(ChunkFolder::write(folder.folder() / "no" / "index", "x"), FileError);
  CHECK_THROWS_AS(ChunkFolder::write(folder.folder() / "nothing", [](const auto&) {}), FileError);
}

TEST_CASE("one process is a group") {
  const auto group = alone();
  CHECK(group->rank() == 0);
  CHECK(group->size() == 1);
  CHECK(group->threads() == available_threads());
  std::vector<Index> order;
  group->share_out(3, [&](Index i) { order.push_back(i); });
  CHECK(order == std::vector<Index>{0, 1, 2});
  group->share_out(0, [&](Index) { FAIL(); });
  group->barrier();
  CHECK(group->broadcast("text") == "text");
}
