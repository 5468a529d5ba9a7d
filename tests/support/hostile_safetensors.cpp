#include <utility>

#include "daguerre/weights/safetensors.hpp"
#include "support/files.hpp"
#include "support/hostile.hpp"

namespace daguerre::test {
namespace {

constexpr const char* path = "text_encoder/model.safetensors";

/// One tensor of four bytes, whose three fields are given as JSON.
std::string header_with(std::string_view dtype, std::string_view shape, std::string_view offsets) {
  return std::string(R"({"x":{"dtype":)")
      .append(dtype)
      .append(R"(,"shape":)")
      .append(shape)
      .append(R"(,"data_offsets":)")
      .append(offsets)
      .append("}}");
}

void add_truncations(std::vector<HostileFile>& files, const std::filesystem::path& valid) {
  const std::string whole = read_file(valid);
  const auto file = weights::SafetensorsFile::open(valid);
  const auto add = [&](std::size_t size) {
    files.push_back({"cut to " + std::to_string(size) + " bytes", path, whole.substr(0, size)});
  };
  std::size_t data = 0;
  for (std::size_t i = 8; i-- > 0;) data = data << 8 | static_cast<unsigned char>(whole[i]);
  data += 8;
  for (std::size_t size = 0; size <= 9; ++size) add(size);
  for (std::size_t part = 1; part < 8; ++part) add(8 + (data - 8) * part / 8);
  add(data - 1);
  for (const auto& tensor : file.tensors()) {
    add(data + tensor.begin);
    add(data + tensor.end - 1);
  }
  files.push_back({"a byte too many", path, whole + '\0'});
}

void add_lengths(std::vector<HostileFile>& files, const std::filesystem::path& valid) {
  const std::string whole = read_file(valid), rest = whole.substr(8);
  std::uint64_t length = 0;
  for (std::size_t i = 8; i-- > 0;) length = length << 8 | static_cast<unsigned char>(whole[i]);
  for (const std::uint64_t lie :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{2}, length / 2, length - 1, length + 1,
        std::uint64_t{rest.size()}, std::uint64_t{rest.size()} + 1, std::uint64_t{100'000'000},
        std::uint64_t{100'000'001}, std::uint64_t{1} << 31, std::uint64_t{1} << 32, std::uint64_t{1} << 63,
        ~std::uint64_t{0} - 7, ~std::uint64_t{0}})
    files.push_back(
        {"a header length of " + std::to_string(lie), path, safetensors_text(lie, rest, std::string_view())});
}

}  // namespace

std::string repeated(std::string_view text, std::size_t count) {
  std::string result;
  result.reserve(text.size() * count);
  for (std::size_t i = 0; i < count; ++i) result += text;
  return result;
}

std::vector<HostileFile> hostile_safetensors(const std::filesystem::path& model) {
  std::vector<HostileFile> files;
  add_truncations(files, model / path);
  add_lengths(files, model / path);

  const auto add = [&](std::string name, std::string_view header, std::string_view data = "1234") {
    files.push_back({"header: " + std::move(name), path, safetensors_text(header, data)});
  };
  for (const auto& file : hostile_json(path)) add(file.name, file.content, {});

  constexpr std::string_view f32 = R"("F32")", four = "[0,4]", one = "[1]";
  for (const auto* dtype :
       {R"("F33")", R"("f32")", R"("")", "32", "null", "[]", "{}", "true", R"("F32\u0000")"})
    add(std::string("dtype ") + dtype, header_with(dtype, one, four));
  for (const auto* shape : {"1",
                            "\"1\"",
                            "null",
                            "{}",
                            "[-1]",
                            "[1.0]",
                            "[1.5]",
                            "[\"1\"]",
                            "[[1]]",
                            "[null]",
                            "[true]",
                            "[2]",
                            "[0]",
                            "[1,2]",
                            "[4294967296,4294967296]",
                            "[9223372036854775807,2]",
                            "[18446744073709551615]",
                            "[18446744073709551616]",
                            "[1e300]",
                            "[4611686018427387905]",
                            "[3037000500,3037000500]",
                            "[65536,65536,65536,65536]",
                            "[2147483648,2147483648,2]",
                            "[0,18446744073709551615]",
                            "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]"})
    add(std::string("shape ") + shape, header_with(f32, shape, four));
  for (const auto* offsets :
       {"0", "[]", "[0]", "[0,4,4]", "[4,0]", "[1,5]", "[0,5]", "[0,3]", "[-4,0]", "[0.0,4.0]",
        "[\"0\",\"4\"]", "[0,18446744073709551615]", "[18446744073709551612,18446744073709551615]",
        "[0,18446744073709551616]", "[4,8]", "null", "{\"begin\":0,\"end\":4}", "[[0],[4]]"})
    add(std::string("offsets ") + offsets, header_with(f32, one, offsets));

  const std::string x = R"("x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]})";
  const auto entry = [](std::string_view name, std::string_view offsets) {
    return "\"" + std::string(name) + R"(":{"dtype":"F32","shape":[1],"data_offsets":)" +
           std::string(offsets) + "}";
  };
  add("two tensors in one place", "{" + x + "," + entry("y", "[0,4]") + "}");
  add("overlapping tensors", "{" + x + "," + entry("y", "[2,6]") + "}", "123456");
  add("a hole between tensors", "{" + x + "," + entry("y", "[5,9]") + "}", "123456789");
  add("a hole before the first", "{" + entry("y", "[4,8]") + "}", "12345678");
  add("the same tensor twice", "{" + x + "," + x + "}");
  add("the same field twice", R"({"x":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})");
  add("metadata twice", R"({"__metadata__":{},"__metadata__":{},)" + x + "}");
  add("a metadata key twice", R"({"__metadata__":{"a":"1","a":"2"},)" + x + "}");
  for (const auto* metadata :
       {"1", "\"a\"", "[]", R"({"a":1})", R"({"a":{}})", R"({"a":null})", R"({"a":["b"]})"})
    add(std::string("metadata ") + metadata, std::string(R"({"__metadata__":)") + metadata + "," + x + "}");
  for (const auto* value : {"1", "null", "[]", "\"F32\"", "{}", R"({"dtype":"F32"})",
                            R"({"dtype":"F32","shape":[1]})", R"({"shape":[1],"data_offsets":[0,4]})"})
    add(std::string("entry ") + value, std::string("{\"x\":") + value + "}");
  add("a name of a mebibyte",
      "{\"" + repeated("n", 1 << 20) + R"(":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})");
  add("a byte order mark", "\xEF\xBB\xBF{" + x + "}");
  add("no tensors at all", "{}", {});
  add("another model's tensor", "{" + x + "}");
  std::string many = "{";
  for (int i = 0; i < 150'000; ++i)
    many +=
        (i == 0 ? "\"" : ",\"") + std::to_string(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})";
  add("many empty tensors", many + "}", {});
  // As long as the format allows.
  add("a header of 99 MB", "{}" + repeated(" ", 99'000'000), {});
  add("a text of 99 MB and a fault", "{\"__metadata__\":{\"a\":\"" + repeated("x", 99'000'000) + "\",}}", {});
  const std::string flood = repeated("x", 12'000'000);
  add("a text without an end", "{\"__metadata__\":{\"a\":\"" + flood, {});
  add("a dtype of 12 MB", "{\"x\":{\"dtype\":\"" + flood + "\"}}", {});
  add("a key of 12 MB", "{\"" + flood + "\":1}", {});
  add("a key of 12 MB with an escape", "{\"\\n" + flood + "\":1}", {});
  add("a number of 12 MB", "{\"x\":{\"shape\":[" + repeated("1", 12'000'000) + "]}}", {});
  add("a skipped text of 12 MB", "{\"x\":{\"y\":\"" + flood + "\"}}", {});

  // Well-formed files that do not suit the model.
  const auto valid = weights::SafetensorsFile::open(model / path);
  for (const auto& spoiled : valid.tensors()) {
    if (spoiled.shape.rank() != 2 || spoiled.name.find(".0.") == std::string::npos) continue;
    for (const bool rename : {true, false}) {
      weights::SafetensorsWriter writer;
      for (const auto& tensor : valid.tensors()) {
        const auto values = valid.read<float>(tensor.name);
        if (&tensor != &spoiled)
          writer.add(tensor.name, values);
        else if (rename)
          writer.add(tensor.name + "_", values);
        else
          writer.add(tensor.name, values.reshape({values.size()}));
      }
      const auto bytes = writer.to_bytes();
      files.push_back({(rename ? "without " : "flat ") + spoiled.name, path,
                       std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size())});
    }
  }
  return files;
}

}  // namespace daguerre::test
