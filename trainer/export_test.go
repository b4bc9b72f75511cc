package trainer

// WriteTinyModel is for the package's Example.
var WriteTinyModel = writeTinyModel
